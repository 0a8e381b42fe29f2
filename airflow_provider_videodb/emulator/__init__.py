"""
A local VideoDB for tests and for trying out pipelines.

It keeps real accounts, serves VideoDB's billing calls and indexes videos for VideoDB's Python SDK. It listens on
loopback only, keeps everything in memory and takes no money.

``python -m airflow_provider_videodb.emulator`` runs it for a person. `server.Emulator` runs it inside a test.
`pytest_plugin` has a fixture with a running emulator.

This module imports nothing, because pytest imports it in every test run.
"""
