"""The provider in a real Airflow."""
