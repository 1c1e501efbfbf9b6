"""The Taobao Open Platform's router (document 101617; vendors.md part A)."""
