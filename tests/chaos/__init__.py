"""`make distributed`: a distributed Airflow whose parts are killed during purchases."""
