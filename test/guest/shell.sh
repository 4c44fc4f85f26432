#!/bin/sh
# The init of a guest that is typed to: a shell on the console, without echo, so that a test sees answers only.
mount -t proc proc /proc
mount -t devtmpfs dev /dev
stty -F /dev/console -echo
echo "shell ready"
exec sh
