"""Apache Airflow provider for VideoDB: pipelines that never start short of credits and never pay twice."""

__version__ = "0.1.0"
