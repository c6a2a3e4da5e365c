"""The one place that knows the version; read by the build and by every saved result."""

__version__ = "0.1.0"
