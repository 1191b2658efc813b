"""Learned policies, made safe to try on a real robot arm."""

__path__ = __import__("pkgutil").extend_path(__path__, __name__)
