#!/usr/bin/env bash
# Installs a package into a fresh Debian 12, uses it, upgrades it and takes it off again.
#
#   packaging/test-install.sh PACKAGE.deb [BASE]
#
# Needs root, debootstrap, dpkg and a mirror of Debian. BASE is a fresh Debian that an earlier run left, or where to put
# one: made when it is not there, copied, never changed. A package for arm64 runs on amd64 under qemu's user emulation, which
# the kernel has to start by itself (binfmt_misc); it is registered here where it is not.
set -euo pipefail

readonly SUITE=bookworm UNIT=/usr/lib/systemd/system/trm-kiosk.service SETTINGS=etc/trm-kiosk/kiosk.toml
readonly EXAMPLES=/usr/share/doc/trm-edge/examples

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" > /dev/null || fail "$1 is not here; apt-get install $2"; }

[ $# -ge 1 ] || fail "usage: packaging/test-install.sh PACKAGE.deb [BASE]"
[ "$(id -u)" = 0 ] || fail "only root can change into another root folder"
need debootstrap debootstrap
need dpkg-deb dpkg
package=$(readlink -e "$1") || fail "there is no $1"
arch=$(dpkg-deb --field "$package" Architecture)
version=$(dpkg-deb --field "$package" Version)
work=$(mktemp -d)
base=${2:-$work/base}
root=$work/root
seconds=0

# The kernel starts programs of another machine by an emulator. cortex-a72: kernels for newer processors are slower to emulate, tract's by 15 times.
emulate() {
    local emulator=/usr/bin/qemu-aarch64-static binfmt=/proc/sys/fs/binfmt_misc
    [ "$arch" = arm64 ] || fail "no emulator is known for $arch"
    need "$emulator" qemu-user-static
    [ -e $binfmt/register ] || mount -t binfmt_misc binfmt_misc $binfmt || fail "this kernel has no binfmt_misc"
    if [ ! -e $binfmt/qemu-aarch64 ]; then
        # As Debian's qemu-user-static does it. F: the emulator is opened now, and need not be in the new root.
        printf '%s' ':qemu-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'$emulator':F' \
            > $binfmt/register || fail "this kernel lets nobody register an emulator"
    fi
    export QEMU_CPU=cortex-a72
    echo "run by $($emulator --version | head -1), QEMU_CPU=$QEMU_CPU"
}

inside() {
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        ${QEMU_CPU:+QEMU_CPU="$QEMU_CPU"} ${http_proxy:+http_proxy="$http_proxy"} "$@"
}

apt() { inside apt-get --yes -qq -o Dpkg::Use-Pty=0 --no-install-recommends "$@"; }

timed() {
    local started
    started=$(date +%s%N)
    "$@"
    seconds=$((($(date +%s%N) - started) / 100000000))
    echo "took $((seconds / 10)).$((seconds % 10)) s"
}

# Everything that a package could leave: each file with owner, mode and where a link leads, and who has an account. Not what
# apt, dpkg and caches write down for themselves, nor /run, which no boot keeps.
snapshot() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./tmp -o -path ./packages -o -path ./root -o -path ./run -o -path ./var/cache -o -path ./var/log \
        -o -path ./var/lib/apt -o -path ./var/lib/dpkg \) -prune -o -printf '%p %u:%g %m %l\n' | LC_ALL=C sort)
    for file in passwd group shadow gshadow; do
        sed "s/^/$file: /" "$root/etc/$file"
    done
}

# The same package with a lower version, and settings that this one has changed since.
older() {
    local tree=$work/older
    dpkg-deb --raw-extract "$package" "$tree"
    sed -i 's/^Version: .*/Version: 0.0.1-1/' "$tree/DEBIAN/control"
    sed -i '1i # Settings of version 0.0.1.' "$tree/$SETTINGS"
    (cd "$tree" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | xargs -0 md5sum > DEBIAN/md5sums)
    dpkg-deb --root-owner-group -Zgzip --build "$tree" "$root/packages/older.deb" > /dev/null
}

# The commands of a program and, of those that have some, theirs, as its help lists them: `trm solve`, `trm-host model list`.
commands() {
    local name
    echo "$*"
    for name in $(inside "$@" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z0-9-]*\) .*/\1/p'); do
        [ "$name" = help ] || commands "$@" "$name"
    done
}

[ "$arch" = "$(dpkg --print-architecture)" ] || emulate
trap 'umount "$root/proc" 2> /dev/null || true; rm -rf "$work"' EXIT

if [ ! -e "$base/etc/debian_version" ]; then
    say "a fresh Debian: $SUITE, $arch"
    timed debootstrap --arch="$arch" --variant=minbase --include=bash-completion,man-db,systemd "$SUITE" "$base" > "$work/log" 2>&1 \
        || { tail -5 "$work/log" >&2; fail "debootstrap failed"; }
fi
cp -a "$base" "$root"
mount -t proc proc "$root/proc"
apt update
snapshot > "$work/before"
mkdir "$root/packages"
cp "$package" "$root/packages/package.deb"
older

say "install $(basename "$package") with what it depends on ($(stat -c %s "$package") bytes)"
timed apt install /packages/package.deb
inside dpkg-query --show --showformat '${Package} ${Version} ${Architecture}: ${db:Status-Status}, ${Installed-Size} KiB\n' trm-edge
inside dpkg --verify trm-edge
inside getent passwd trm-kiosk | grep -qE ':/var/lib/trm-kiosk:(/usr)?/(s?bin/)?nologin$' || fail "the user trm-kiosk is not as it should be"

say "the programs work"
timed inside trm solve $EXAMPLES/maze.txt | tee "$work/solve"
grep -qx 'verified: path of 16 moves, a shortest one' "$work/solve" || fail "the maze was not solved"
timed inside trm doctor | tee "$work/doctor"
timed inside trm-host read $EXAMPLES/photos/image1067.jpg --solve || fail "the photograph was not solved"

say "every command has a man page, and every man page a command"
{ commands trm; commands trm-host; } > "$work/commands"
tr ' ' - < "$work/commands" | LC_ALL=C sort > "$work/expected"
inside dpkg --listfiles trm-edge | sed -n 's|^/usr/share/man/man1/\(.*\)\.1\.gz$|\1|p' | LC_ALL=C sort > "$work/pages"
diff "$work/expected" "$work/pages" || fail "man pages (>) and commands (<) differ"
while read -r page; do
    inside man --warnings "$page" > "$work/page" 2> "$work/said" < /dev/null || fail "man does not show $page"
    grep -q "${page//-/.}" "$work/page" && [ ! -s "$work/said" ] || { cat "$work/said"; fail "the page $page is not as it should be"; }
done < "$work/pages"
echo "$(wc -l < "$work/pages") pages"

say "bash completes"
# As bash does it: loads the completion of a program on the first key, and asks it.
completed=$(inside bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader trm
    COMP_WORDS=(trm so) COMP_CWORD=1; eval "$(complete -p trm | sed "s/.*-F \([^ ]*\) .*/\1/") trm so trm"; echo "${COMPREPLY[@]}"')
[ "$completed" = solve ] || fail "bash completes \`trm so\` to \`$completed\`"
echo "trm so -> trm $completed"
for file in zsh/vendor-completions/_trm zsh/vendor-completions/_trm-host fish/vendor_completions.d/trm.fish \
    fish/vendor_completions.d/trm-host.fish; do
    [ -s "$root/usr/share/$file" ] || fail "there is no $file"
done

say "the service: taken by systemd, not started, not enabled"
inside systemd-analyze verify $UNIT 2>&1 | tee "$work/verify"
[ ! -s "$work/verify" ] || fail "systemd says something of the unit"
# And it would be seen.
sed 's/^WatchdogSec/WatchdogSecs/' "$root$UNIT" > "$root/tmp/trm-kiosk.service"
inside systemd-analyze verify /tmp/trm-kiosk.service 2>&1 | grep -q WatchdogSecs || fail "systemd-analyze finds no mistakes here"
rm "$root/tmp/trm-kiosk.service"
echo "systemd-analyze verify $UNIT: nothing said"
[ "$(inside systemctl is-enabled trm-kiosk 2>&1)" = disabled ] || fail "the service is enabled by installing it"

say "the settings that come with it: the kiosk solves a photograph"
inside trm-host kiosk --check --config /$SETTINGS
inside install -d -o trm-kiosk -g trm-kiosk -m 750 /var/lib/trm-kiosk
timed inside setpriv --reuid trm-kiosk --regid trm-kiosk --clear-groups \
    env STATE_DIRECTORY=/var/lib/trm-kiosk trm-host kiosk --config /$SETTINGS --once || fail "the kiosk solved nothing"
[ -s "$root/var/lib/trm-kiosk/display.png" ] || fail "the kiosk shows nothing"

say "purge leaves nothing"
# What an administrator adds: the service enabled, changed, a password beside the settings.
inside systemctl enable --quiet trm-kiosk
mkdir "$root/etc/systemd/system/trm-kiosk.service.d"
echo '[Service]' > "$root/etc/systemd/system/trm-kiosk.service.d/override.conf"
echo secret > "$root/etc/trm-kiosk/mqtt-password"
apt purge --autoremove trm-edge
snapshot > "$work/after"
diff "$work/before" "$work/after" || fail "purge left something (>), or took something (<)"
echo "$(wc -l < "$work/before") files and accounts are what they were"

say "upgrade from 0.0.1-1 to $version keeps edited settings"
apt install /packages/older.deb
inside systemctl enable --quiet trm-kiosk
echo '# edited' >> "$root/$SETTINGS"
cp "$root/$SETTINGS" "$work/edited"
apt install -o Dpkg::Options::=--force-confold /packages/package.deb
inside dpkg-query --show --showformat '${Version}' trm-edge | grep -qx "$version" || fail "it was not upgraded"
cmp "$work/edited" "$root/$SETTINGS" || fail "the settings were overwritten"
[ -e "$root/$SETTINGS.dpkg-dist" ] || fail "the new settings are not put beside the edited ones"
[ "$(inside systemctl is-enabled trm-kiosk)" = enabled ] || fail "the upgrade disabled the service"
# Again, as after an interrupted upgrade.
inside dpkg --force-confold --install /packages/package.deb

say "remove keeps settings, state and user; installing again takes them up"
inside install -d -o trm-kiosk -g trm-kiosk -m 750 /var/lib/trm-kiosk
apt remove trm-edge
[ ! -e "$root/usr/bin/trm" ] && [ ! -e "$root$UNIT" ] || fail "remove left programs"
cmp "$work/edited" "$root/$SETTINGS" && [ -d "$root/var/lib/trm-kiosk" ] || fail "remove took settings or state"
inside getent passwd trm-kiosk > /dev/null || fail "remove took the user"
apt install -o Dpkg::Options::=--force-confold /packages/package.deb
cmp "$work/edited" "$root/$SETTINGS" || fail "the settings were overwritten"
[ "$(inside systemctl is-enabled trm-kiosk)" = enabled ] || fail "the service is not enabled again"

say "remove, then purge, leaves nothing"
apt remove --autoremove trm-edge
inside dpkg --purge trm-edge
snapshot > "$work/after"
diff "$work/before" "$work/after" || fail "purge left something (>), or took something (<)"

say "preseeded settings are kept without a question"
install -D -m 644 "$work/edited" "$root/$SETTINGS"
apt install -o Dpkg::Options::=--force-confold /packages/package.deb
cmp "$work/edited" "$root/$SETTINGS" || fail "the settings were overwritten"

say "$(basename "$package"): everything passed"
