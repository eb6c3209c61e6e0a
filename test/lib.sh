# What the test command and the demo share: building, a private copy of PostgreSQL, private clusters.
#
# Nothing is installed into the system's PostgreSQL.  PostgreSQL finds its files relative to its own
# program, so a copy of its two folders under $stage/pg is a whole installation, and the extension goes in there.
# Clusters listen on a Unix socket only, in a folder that nobody else can enter.  Root may not run a
# server: started by root, everything that touches the server runs as the system user postgres.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pg_version=15
system_bin=/usr/lib/postgresql/$pg_version/bin
log_dir=$root/build/log

# A make that calls us must not pass its flags and job slots on to ours.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
# Nor may the caller's connection settings reach the private clusters.
for variable in $(compgen -e | grep '^PG' || true); do unset "$variable"; done
unset LANGUAGE LC_ALL LC_MESSAGES
export LC_ALL=C.UTF-8
# PostgreSQL's TAP modules take LC_ALL away; with neither their clusters would be SQL_ASCII
export LANG=C.UTF-8

say() { printf '%s\n' "$*"; }
die()
{
	printf '%s\n' "$*" >&2
	exit 1
}

# jobs: how many compilers to run at once.
jobs() { nproc 2>/dev/null || echo 2; }

# quietly LOG COMMAND...: output goes to $log_dir/LOG; where the command fails its end is shown.
quietly()
{
	local log=$log_dir/$1
	shift
	if ! "$@" >"$log" 2>&1; then
		echo "failed: $*" >&2
		tail -n 40 "$log" >&2
		echo "(the whole log: $log)" >&2
		return 1
	fi
}

# stage_make NAME: $stage, a new folder that the server's user can write to; $bin, the private copy's programs.
stage_make()
{
	stage=$(mktemp -d "${TMPDIR:-/tmp}/hyperband-$1.XXXXXX")
	bin=$stage/pg$system_bin
	server_user=$(id -un)
	if [ "$(id -u)" -eq 0 ]; then
		server_user=postgres
		chown postgres: "$stage"
	fi
	chmod 700 "$stage"
}

# as_server COMMAND...: runs it as the user that may run a server, in $stage, with the private copy first in PATH.
as_server()
{
	local environment=(HOME="$stage" PATH="$bin:$PATH" TMPDIR="${TMPDIR:-/tmp}")
	if [ "$(id -u)" -eq 0 ]; then
		(cd "$stage" && exec runuser -u postgres -- env "${environment[@]}" "$@")
	else
		(cd "$stage" && exec env "${environment[@]}" "$@")
	fi
}

build()
{
	quietly build.log make -C "$root" -j"$(jobs)" PG_CONFIG="$system_bin/pg_config" all
}

# A private copy of PostgreSQL with the extension as just built.
install_privately()
{
	local share=/usr/share/postgresql/$pg_version lib=/usr/lib/postgresql/$pg_version

	mkdir -p "$stage/pg/usr/lib/postgresql" "$stage/pg/usr/share/postgresql"
	cp -a "$lib" "$stage/pg/usr/lib/postgresql/"
	cp -a "$share" "$stage/pg/usr/share/postgresql/"
	rm -f "$stage/pg$share"/extension/hyperband* "$stage/pg$lib"/lib/hyperband*
	quietly install.log make -C "$root" PG_CONFIG="$system_bin/pg_config" DESTDIR="$stage/pg" install
	[ "$(id -u)" -ne 0 ] || chown -R postgres: "$stage/pg"
}

# cluster_start NAME [line of postgresql.conf]...: its socket is in $stage/NAME.s, superuser postgres.
cluster_start()
{
	local name=$1
	shift
	as_server "$bin/initdb" -D "$stage/$name" -U postgres -A trust -E UTF8 --no-locale -N >"$log_dir/$name.initdb.log" 2>&1 ||
		{ cat "$log_dir/$name.initdb.log" >&2; return 1; }
	as_server mkdir -m 700 "$stage/$name.s"
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$stage/$name.s'"
		echo "fsync = off"
		echo "max_worker_processes = 16"
		echo "log_line_prefix = '%m [%p] %q%b '"
		printf '%s\n' "$@"
	} | as_server tee -a "$stage/$name/postgresql.conf" >/dev/null
	cluster_launch "$name"
}

cluster_launch()
{
	as_server "$bin/pg_ctl" -D "$stage/$1" -l "$stage/$1.log" -w -s start ||
		{ as_server tail -n 40 "$stage/$1.log" >&2; return 1; }
}

cluster_stop()
{
	[ ! -f "$stage/$1/postmaster.pid" ] || as_server "$bin/pg_ctl" -D "$stage/$1" -m "${2:-fast}" -w -s stop
}

# sql NAME [psql's arguments]: psql on that cluster, as the calling user.
sql()
{
	local name=$1
	shift
	"$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$stage/$name.s" -U postgres -d postgres "$@"
}
