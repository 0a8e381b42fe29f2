"""A real distributed Airflow on loopback that is hurt while it buys: `make distributed`."""
