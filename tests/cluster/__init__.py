"""The throwaway cluster: a real Kubernetes node, raised and taken down without a trace.

Standard library only, so that ``python -m tests.cluster`` runs before anything is installed.
"""
