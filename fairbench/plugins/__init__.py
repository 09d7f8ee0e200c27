"""Components and the plugins that supply them: kinds, hooks, parameters, the registry and how plugins are loaded."""
