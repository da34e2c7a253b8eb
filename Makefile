# make, make check, make install, make uninstall: for any make(1). Give the same settings on the command line of each, as in
# "make PREFIX=/usr install". If the program was built with other settings, install builds it again. etc/install.sh has the
# defaults of each system:
#
#	PREFIX		/usr/local; /usr/pkg on NetBSD
#	SYSCONFDIR	$PREFIX/etc; /etc on Linux and OpenBSD. The configuration is miredo/miredo-server.conf in it
#	CONFDIR		$SYSCONFDIR/miredo, the directory of the configuration
#	LOCALSTATEDIR	/var. The process ID file is run/miredo-server.pid in it
#	EMPTYDIR	/var/empty; $LOCALSTATEDIR/chroot/miredo-server on NetBSD
#	RUNUSER		nobody; the units of systemd create and use the user miredo unless RUNUSER is given
#	SERVICEDIR	where the system looks for service scripts; "none" installs none
#	BINDIR, EXAMPLEDIR, LIBEXECDIR, MANDIR, SAMPLEDIR, SBINDIR	for packages
#	SYSTEM		the output of uname -s
#	FEATURES	none; "xdp" builds in a program for the network driver (Linux), which needs the tools that ci/xdp.sh installs,
#			and gives the unit of systemd what it needs to load it
#	BUILT		a directory with a program that exists; it is not built, and is refused if it has other paths or features
#	DESTDIR		none; a prefix of every path that is written to, and part of no file

SETTINGS = PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' CONFDIR='$(CONFDIR)' LOCALSTATEDIR='$(LOCALSTATEDIR)' EMPTYDIR='$(EMPTYDIR)' \
	RUNUSER='$(RUNUSER)' RUNDIR='$(RUNDIR)' SERVICEDIR='$(SERVICEDIR)' MANDIR='$(MANDIR)' SAMPLEDIR='$(SAMPLEDIR)' \
	BINDIR='$(BINDIR)' SBINDIR='$(SBINDIR)' LIBEXECDIR='$(LIBEXECDIR)' EXAMPLEDIR='$(EXAMPLEDIR)' \
	SYSTEM='$(SYSTEM)' DESTDIR='$(DESTDIR)' FEATURES='$(FEATURES)' CARGO='$(CARGO)' BUILT='$(BUILT)'

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
