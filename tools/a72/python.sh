#!/bin/bash
# Python on the emulated Cortex-A72, called as DIR/3.11/python ARGUMENT... (tools/a72/build.py puts it there).
# COUNT=FILE: write what is counted to FILE, a line for each region; CACHE=1: cache misses too, which takes longer.
set -eu
self=$(readlink -f "$0")
system=${self%/sysroot/usr/bin/*}
dir=$(dirname "$system")
qemu=$dir/qemu
run=("$qemu/lib64/ld-linux-x86-64.so.2" --library-path "$qemu/lib/x86_64-linux-gnu:$qemu/usr/lib/x86_64-linux-gnu"
  "$qemu/usr/bin/qemu-aarch64" -cpu cortex-a72 -L "$system/sysroot")
if [ -n "${COUNT:-}" ]; then
  # counts repeat only where addresses and hashes do
  run=(setarch -R "${run[@]}" -plugin "$dir/count.so,out=$COUNT${CACHE:+,cache=on}")
  export PYTHONHASHSEED=0
  unset COUNT
fi
# compiled modules lie beside the system, neither in the checkout nor nowhere: compiling takes most of an emulated import
export PYTHONNOUSERSITE=1 PYTHONPYCACHEPREFIX=$dir/compiled PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}$system/site
# this script is sys.executable, so that the programs that Python starts are emulated too
exec "${run[@]}" -0 "$self" "$system/sysroot/usr/bin/python3" "$@"
