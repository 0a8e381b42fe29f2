"""Kills parts of a distributed Airflow during purchases."""
