"""Plugins in virtual environments of their own, for libraries that cannot be installed beside fairbench's.

- ``wheels``: small packages made here: a plugin that is one file, and fairbench's name in the environment
- ``install``: a virtual environment with the plugin in it, and the manifest that says what it brings
- ``environments``: the environments that there are, read from their manifests
- ``declared``: method classes as JSON, and back
- ``methods``: classes whose ``fit`` and predictions happen in the environment
- ``frames``: messages between two processes: a line of JSON, and arrays
- ``client``: the process of an environment, as seen from here
- ``worker``: what that process runs
"""
