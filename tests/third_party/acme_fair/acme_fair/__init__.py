"""A small package by a third party: one method, and one module that is broken."""
