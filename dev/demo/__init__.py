"""`make demo` and `make ui`: the provider in a real Airflow."""
