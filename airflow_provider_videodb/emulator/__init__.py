"""
A local VideoDB for tests and for trying out pipelines.

It keeps one account, and serves VideoDB's calls for billing and for jobs. It listens on loopback only, keeps
everything in memory and takes no money.

``videodb-emulator`` runs it for a person. `server.Emulator` runs it inside a test. `pytest_plugin` has the fixtures.

This module imports nothing, because pytest imports it in every test run.
"""
