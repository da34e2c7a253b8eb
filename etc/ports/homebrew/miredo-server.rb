class MiredoServer < Formula
  desc "Teredo server: IPv6 for hosts behind IPv4 NATs"
  homepage "https://example.org/miredo-server/"
  url "https://example.org/miredo-server/miredo-server-0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license "BSD-2-Clause"

  depends_on "rust" => :build

  def install
    settings = %W[
      PREFIX=#{prefix}
      SYSCONFDIR=#{etc}
      LOCALSTATEDIR=#{var}
      SAMPLEDIR=#{pkgshare}
      SERVICEDIR=none
    ]
    system "make", *settings
    system "make", "install", *settings
    # If the file exists, Homebrew installs this one as miredo-server.conf.default.
    (etc/"miredo").install "etc/miredo-server.conf.sample" => "miredo-server.conf"
    (var/"run").mkpath
  end

  def caveats
    <<~EOS
      The server needs two public IPv4 addresses of this host. Set the first in
        #{etc}/miredo/miredo-server.conf
      Start the server as root: it needs root to open its sockets.
    EOS
  end

  service do
    run [opt_sbin/"miredo-server", "-f"]
    # Not after a failure: launchd cannot tell a faulty configuration from an address that appears late.
    keep_alive crashed: true
    require_root true
    error_log_path var/"log/miredo-server.log"
  end

  test do
    assert_match "ServerBindAddress", shell_output("#{sbin}/miredo-server -n -c /dev/null 2>&1", 78)
  end
end
