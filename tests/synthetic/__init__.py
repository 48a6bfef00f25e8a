"""A synthetic RPM distribution for tests: packages of the Debian lock, repackaged as signed RPMs with EL's names.

It is no CentOS and says so everywhere: see README.md in this folder for what it proves and what not.
"""
