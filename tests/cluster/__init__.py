"""The throwaway cluster: a real Kubernetes node that leaves nothing behind.

Standard library only, so that ``python -m tests.cluster`` runs before anything is installed.
"""
