# The byte code that an EL package would bring; with hashes instead of times, as the builder does for its own.
python3.13 -m compileall -q -j 1 --invalidation-mode unchecked-hash /usr/lib/python3.13
