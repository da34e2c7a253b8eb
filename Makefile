# make, make check, make install, make uninstall: for any make(1). Settings go on the command line of each, the same for
# all, as in "make PREFIX=/usr install", which builds what was not built with them. Where none is given, etc/install.sh has
# the default of the system:
#
#	PREFIX		/usr/local; /usr/pkg on NetBSD
#	SYSCONFDIR	$PREFIX/etc; /etc on Linux and OpenBSD. The configuration is miredo/miredo-server.conf in it
#	LOCALSTATEDIR	/var. The process ID file is run/miredo-server.pid in it
#	EMPTYDIR	/var/empty; $LOCALSTATEDIR/chroot/miredo-server on NetBSD
#	RUNUSER		nobody
#	SERVICEDIR	where the system looks for service scripts; "none" installs none
#	MANDIR, SAMPLEDIR, SBINDIR	for packages
#	SYSTEM		what uname -s says
#	BUILT		the directory with a program that is there already: it is not built, and refused if it has other paths
#	DESTDIR		none; goes in front of every path that is written to, and into no file

SETTINGS = PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' LOCALSTATEDIR='$(LOCALSTATEDIR)' EMPTYDIR='$(EMPTYDIR)' \
	RUNUSER='$(RUNUSER)' RUNDIR='$(RUNDIR)' SERVICEDIR='$(SERVICEDIR)' MANDIR='$(MANDIR)' SAMPLEDIR='$(SAMPLEDIR)' \
	SBINDIR='$(SBINDIR)' SYSTEM='$(SYSTEM)' DESTDIR='$(DESTDIR)' CARGO='$(CARGO)' BUILT='$(BUILT)'

all:
	@$(SETTINGS) sh etc/install.sh build

install:
	@$(SETTINGS) sh etc/install.sh install

uninstall:
	@$(SETTINGS) sh etc/install.sh uninstall

# The files that install would write, without DESTDIR.
list:
	@$(SETTINGS) sh etc/install.sh list

check:
	ci/check.sh
	ci/test.sh

clean:
	cargo clean

.PHONY: all install uninstall list check clean
