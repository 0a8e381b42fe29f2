"""
A local VideoDB: billing with real accounting, and what VideoDB's SDK needs to upload and index a video.

``python -m airflow_provider_videodb.emulator`` runs it for a person, `Emulator` in `server` runs it inside a test, and
`pytest_plugin` makes a fixture of that. It binds to loopback only, holds everything in memory, and takes no money.

This module imports nothing: pytest loads the plugin beside it in every run.
"""
