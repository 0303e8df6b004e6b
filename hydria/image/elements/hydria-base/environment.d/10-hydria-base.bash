# DIB's other elements ask for these two.
export DISTRO_NAME=debian
export DIB_INIT_SYSTEM=systemd
