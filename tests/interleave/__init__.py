"""The operator's real wiring under every order of requests, answers, events, reports and crashes that a seed draws."""
