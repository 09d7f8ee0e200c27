"""A plugin that brings nothing."""
