"""The dashboard for Grafana: what it shows (`panels`), in the form that Grafana imports (`model`)."""
