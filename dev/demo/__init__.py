"""A real Airflow and the VideoDB emulator on loopback: `make demo`, `make ui` and the live tests stand on it."""
