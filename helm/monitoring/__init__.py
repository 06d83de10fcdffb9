"""The Grafana dashboards as code; ``helm/generate.py`` writes them into the chart."""
