#!/bin/sh
# The demo guest's init: says what machine it finds itself on and switches it off.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

echo "Hello from the guest"
uname -a
echo "processors: $(nproc)"
echo "processor model:$(grep -m1 "model name" /proc/cpuinfo | cut -d: -f2)"
echo "memory: $(grep MemTotal /proc/meminfo | tr -s ' ' | cut -d' ' -f2-)"
echo "clock source: $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
echo "up for $(cut -d' ' -f1 /proc/uptime) s"

stty -F /dev/console sane # returns once all of the above has been sent
poweroff -f
