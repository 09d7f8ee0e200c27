"""Components and the plugins that bring them: kinds, hooks, parameters, the registry and its loading."""
