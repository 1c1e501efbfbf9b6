"""Volcengine's voice service, version 2022-01-01 (vendors.md part B)."""
