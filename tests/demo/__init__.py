"""`make demo`: a whole hackathon on the throwaway cluster; the end-to-end tests install theirs by the same steps."""
