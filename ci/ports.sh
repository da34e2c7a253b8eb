#!/bin/sh
# Crates, service scripts and version in etc/ports are derived from other files of this tree. Checks that they agree;
# "ci/ports.sh write" updates them.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

ports=etc/ports

main() {
    case ${1-} in
        '')
            check 'Debian packages' packages bmake ruby shellcheck
            check 'ports follow from the rest of the tree' in_step
            check 'port Makefiles' makefiles
            check 'Homebrew formula' formula
            ;;
        write) write "$ports" ;;
        *)
            echo 'usage: ci/ports.sh [write]' >&2
            exit 2
            ;;
    esac
}

in_step() {
    cp -R "$ports" "$scratch/ports"
    write "$scratch/ports"
    diff -r "$ports" "$scratch/ports"
}

write() {
    licenses >"$scratch/licenses"
    version=$(sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
    {
        printf 'CARGO_CRATES=	'
        crates '%s-%s' | sed -e '2,$s/^/		/' -e '$!s/$/ \\/'
    } >"$1/freebsd/Makefile.crates"
    crates 'MODCARGO_CRATES +=	%s	%s	# %s' >"$1/openbsd/crates.inc"
    {
        printf '# $%s$\n' NetBSD
        echo
        crates 'CARGO_CRATE_DEPENDS+=	%s-%s'
    } >"$1/pkgsrc/cargo-depends.mk"

    copyright "$1/debian"

    rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    edit "$1/pkgsrc/Makefile" "s/^RUST_REQ=.*/RUST_REQ=		$rust.0/" "$rust"
    edit "$1/debian/control" "s/(>= 1\\.[0-9]*)/(>= $rust)/" "$rust"
    edit "$1/debian/changelog" "1s/(1:.*-/(1:$version-/"
    edit "$1/freebsd/Makefile" "s/^DISTVERSION=.*/DISTVERSION=	$version/"
    edit "$1/openbsd/Makefile" "s/^V =.*/V =		$version/"
    edit "$1/pkgsrc/Makefile" "s/^DISTNAME=.*/DISTNAME=	miredo-server-$version/"
    edit "$1/homebrew/miredo-server.rb" "s|/miredo-server-[^/]*\\.tar\\.gz|/miredo-server-$version.tar.gz|"

    # Each ports tree has its own variables for the paths.
    script etc/rc.d/freebsd '%%PREFIX%%' '%%PREFIX%%/etc/miredo' /var miredo >"$1/freebsd/files/miredo_server.in"
    script etc/anycast/freebsd '%%PREFIX%%' '%%PREFIX%%/etc/miredo' /var miredo >"$1/freebsd/files/teredo_anycast.in"
    # shellcheck disable=SC2016 # for the tree to expand
    script etc/rc.d/openbsd '${TRUEPREFIX}' '${SYSCONFDIR}/miredo' /var _miredo >"$1/openbsd/pkg/miredo_server.rc"
    script etc/rc.d/netbsd @PREFIX@ @PKG_SYSCONFDIR@ @VARBASE@ @MIREDO_USER@ >"$1/pkgsrc/files/miredo_server.sh"
}

# The crates in Cargo.lock that come from a registry. The cargo of a ports tree needs exactly these.
crates() {
    awk -v format="$1\n" -v licenses="$scratch/licenses" -F '"' '
        BEGIN { while (getline line <licenses > 0) { split(line, field, "|"); license[field[1]] = field[2] } }
        /^name = / { name = $2 }
        /^version = / { version = $2 }
        /^source = "registry/ {
            if (!((name " v" version) in license)) { print name ": no license" >"/dev/stderr"; exit 1 }
            printf format, name, version, license[name " v" version]
        }
    ' Cargo.lock
}

# A line for each crate: "NAME vVERSION|LICENSE".
licenses() {
    cargo tree --locked --workspace --all-features --target all --edges normal,build,dev --prefix none --no-dedupe \
        --format '{p}|{l}' | sed -e 's/ (proc-macro)//' -e 's|/Apache| OR Apache|' | sort -u
}

# copyright DIRECTORY: the copyright file of the Debian package, with one paragraph for all crates of a license.
copyright() {
    crates '%s-%s|%s' | sed -e 's/ OR / or /g' -e 's/ WITH / with /g' -e 's/-or-later/+/g' -e 's/LLVM-exception/LLVM exception/' \
        -e 's/|(\(.*\)) AND /|\1, and /' |
        LC_ALL=C sort -t '|' -k 2 -k 1 | awk -F '|' '
            function end() { print "Copyright: the authors that the Cargo.toml of each crate names\nLicense: " license }
            $2 != license {
                if (license) { end(); print "" }
                license = $2
                print "Files:"
            }
            { print " vendor/" $1 "/*" }
            END { end() }' >"$scratch/crates"
    sed -e '/^@CRATES@$/{' -e "r $scratch/crates" -e d -e '}' "$1/copyright.in" >"$1/copyright"
}

# edit FILE COMMAND [WORD]: edits in place with sed, whose option for that is not portable. WORD, or the version, is in it then.
edit() {
    sed "$2" "$1" >"$1.new"
    mv "$1.new" "$1"
    # Fail if the command did not find its line.
    grep -Fq "${3-$version}" "$1"
}

# script SOURCE PREFIX CONFDIR LOCALSTATEDIR RUNUSER
script() {
    sed -e "s|@SBINDIR@|$2/sbin|g" -e "s|@CONFDIR@|$3|g" -e "s|@RUNDIR@|$4/run|g" -e "s|@RUNUSER@|$5|g" \
        -e "s|@LIBEXECDIR@|$2/libexec|g" "$1"
}

# The ports trees that these Makefiles include are not here. Without them, bmake can at least parse the Makefiles.
makefiles() {
    if ! command -v bmake >/dev/null; then
        skip "$name" 'no bmake'
        return
    fi
    for port in freebsd openbsd pkgsrc; do
        sed 's/^\.include [<"].*mk[>"]//' "$ports/$port/Makefile" >"$ports/$port/.Makefile"
        (cd "$ports/$port" && bmake -f .Makefile -n do-install) || status=$?
        rm "$ports/$port/.Makefile"
        [ "${status:-0}" -eq 0 ]
    done
}

formula() {
    if ! command -v ruby >/dev/null; then
        skip "$name" 'no ruby'
        return
    fi
    ruby -c "$ports/homebrew/miredo-server.rb"
}

scratch=$(mktemp -d)
trap 'rm -rf "$log" "$scratch"' EXIT
main "$@"
