#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The baseline that `make bench` measures against: a bare script that does what people do by hand, nothing more
# (stock kernel and initramfs, one L1, N L2s by VFIO, N clients, iperf3, QEMU's IOMMU log). No readiness, no
# teardown worth the name, no capture. Usage: baseline.sh N SECONDS, as root; KROOT is an unpacked kernel package.
set -eu
N=$1 SECONDS_=$2 KROOT=${KROOT:?} W=${W:-$PWD/lab.work} NS=hsproof
KV=$(ls "$KROOT/lib/modules"); mkdir -p "$W"; cd "$W"

modules() { modprobe -d "$KROOT" -S "$KV" --show-depends "$1" | awk '/^insmod/{print $2}'; }
initramfs() { # initramfs OUT INITSCRIPT MODULE...
  local out=$1 init=$2 m f; shift 2; rm -rf rd; mkdir -p rd/{bin,dev,proc,sys,host,newroot,lib,tmp,etc}
  cp "$(command -v busybox)" rd/bin/busybox
  for m in "$@"; do modules "$m"; done | awk '!s[$0]++' | while read -r f; do cp "$f" rd/lib/; basename "$f"; done >rd/lib/order
  cp "$init" rd/init; chmod +x rd/init
  if [ "$out" = pair.cpio.gz ]; then
    cp "$(command -v iperf3)" rd/bin/
    ldd "$(command -v iperf3)" | grep -oE '/[^ ]+' | while read -r f; do mkdir -p "rd/$(dirname "$f")"; cp -L "$f" "rd/$f"; done
  fi
  (cd rd; find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$out"
}
cat >pair.init <<X
#!/bin/busybox sh
/bin/busybox --install -s /bin; export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /tmp
while read m; do insmod /lib/\$m; done </lib/order
arg() { sed "s/.*\$1=\\([^ ]*\\).*/\\1/" /proc/cmdline; }
ip link set lo up; ip addr add \$(arg guestip)/24 dev eth0; ip link set eth0 up
echo "READY \$(arg role) \$(arg guestip)"
if [ "\$(arg role)" = server ]; then iperf3 -s -1 -p 52001
else until iperf3 -c \$(arg peer) -p 52001 -t $SECONDS_ -i 0; do sleep 1; done; fi
echo "DONE \$(arg role) \$(arg guestip)"; poweroff -f
X
cat >l1.init <<X
#!/bin/busybox sh
/bin/busybox --install -s /bin; export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read m; do insmod /lib/\$m; done </lib/order
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /host
mount -t tmpfs tmpfs /newroot; mkdir -p /newroot/up /newroot/wk /newroot/root
mount -t overlay overlay -o lowerdir=/host,upperdir=/newroot/up,workdir=/newroot/wk /newroot/root
for d in proc sys dev; do mount --move /\$d /newroot/root/\$d; done
mount -t tmpfs tmpfs /newroot/root/run
chroot /newroot/root /bin/bash $W/l1.sh; poweroff -f
X
cat >l1.sh <<X
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
for m in kvm_amd vfio-pci vfio_iommu_type1; do modprobe -d $KROOT \$m; done
for i in \$(seq 0 $((N-1))); do
  b=\$(printf 0000:00:%02x.0 \$((i+4)))
  echo vfio-pci >/sys/bus/pci/devices/\$b/driver_override
  echo \$b >/sys/bus/pci/devices/\$b/driver/unbind; echo \$b >/sys/bus/pci/drivers_probe
  qemu-system-x86_64 -M q35 -accel kvm -m 160 -cpu host -nographic -no-reboot -kernel $KROOT/boot/vmlinuz-$KV \
    -initrd $W/pair.cpio.gz -append "console=ttyS0 quiet no_timer_check panic=-1 role=server guestip=172.16.\$i.20" \
    -net none -device vfio-pci,host=\$b,rombar=0 2>&1 | sed -u "s/^/L2-\$i: /" &
  sleep 2
done; wait
X
initramfs pair.cpio.gz pair.init e1000 virtio_pci virtio_net
initramfs l1.cpio.gz l1.init virtio_pci 9p 9pnet_virtio overlay e1000

ip netns add $NS; trap 'ip netns pids $NS | xargs -r kill; ip netns del $NS' EXIT
nics=()
for i in $(seq 0 $((N-1))); do
  ip netns exec $NS sh -c "ip link add br$i type bridge; ip link set br$i up; ip addr add 172.16.$i.10/24 dev br$i
    for t in tap$i tapc$i; do ip tuntap add dev \$t mode tap; ip link set \$t master br$i; ip link set \$t up; done"
  nics+=(-netdev "tap,id=n$i,ifname=tap$i,script=no,downscript=no"
         -device "e1000,netdev=n$i,addr=$(printf %x $((i+4))),mac=52:54:00:12:$(printf %02x $i):20,romfile=")
done
ip netns exec $NS qemu-system-x86_64 -M q35 -accel tcg,thread=multi -smp 2 -m $((1024+N*330)) -cpu max,+svm,+npt \
  -nographic -no-reboot -kernel "$KROOT/boot/vmlinuz-$KV" -initrd l1.cpio.gz \
  -append "console=ttyS0 panic=-1 intel_iommu=on no_timer_check quiet" -device intel-iommu,caching-mode=on \
  -device virtio-9p-pci,fsdev=fs0,mount_tag=host,addr=3 \
  -fsdev local,id=fs0,path=/,security_model=none,readonly=on,multidevs=remap \
  "${nics[@]}" -trace 'vtd_iotlb*' -msg timestamp=on -D qemu_iommu.txt >l1.console 2>&1 & l1=$!
for i in $(seq 0 $((N-1))); do
  ip netns exec $NS qemu-system-x86_64 -M q35 -accel tcg -m 128 -cpu max -nographic -no-reboot \
    -kernel "$KROOT/boot/vmlinuz-$KV" -initrd pair.cpio.gz \
    -append "console=ttyS0 quiet no_timer_check panic=-1 role=client guestip=172.16.$i.21 peer=172.16.$i.20" \
    -netdev tap,id=n,ifname=tapc$i,script=no,downscript=no -device virtio-net-pci,netdev=n,romfile=,mac=52:54:00:12:"$(printf %02x "$i")":21 \
    >client_$i.console 2>&1 &
done
wait $l1
grep -ah 'DONE' l1.console; grep -ah receiver client_*.console; wc -l qemu_iommu.txt
