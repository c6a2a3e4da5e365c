"""The web application: explain, compare, save; served on this machine alone, unless a host is named."""
