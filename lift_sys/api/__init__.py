"""The application server: sessions over HTTP."""
