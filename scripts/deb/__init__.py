"""Makes Debian packages: ``python -m scripts.deb``. A build is for one release, whose Python the packages of the lock are for."""
