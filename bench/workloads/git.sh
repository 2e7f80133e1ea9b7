# git on the source tree. Sourced, not run.
# shellcheck shell=bash

# A configuration of its own: commits come out the same, and no clean-up runs in between.
prepare_git() {
	export GIT_CONFIG_GLOBAL="$work/gitconfig" GIT_CONFIG_NOSYSTEM=1
	export GIT_AUTHOR_DATE="2024-01-01T00:00:00Z" GIT_COMMITTER_DATE="2024-01-01T00:00:00Z"
	git config --global safe.directory '*'
	git config --global user.name benchmark
	git config --global user.email benchmark@localhost
	git config --global init.defaultBranch main
	git config --global gc.auto 0
	git config --global maintenance.auto false
	# All files of the tree are added, also those that a .gitignore in it names.
	git config --global core.excludesFile ''
}

git_commit_prepare() {
	need untar
	[ ! -e "$mnt/tree/.git" ]
}

git_commit_do() {
	(cd "$mnt/tree" &&
		timed "$1" sh -ec 'git init -q; git add -A -f; git commit -q -m "The tree"')
}

git_commit_run() {
	touch "$home/git-commit.failed"
	git_commit_do git-commit
}

git_commit_verify() {
	[ "$(git -C "$mnt/tree" ls-tree -r HEAD | wc -l)" -eq "$tree_files" ]
	done_with git-commit
}

# The first time brings the index up to date, and is not measured.
git_status_prepare() {
	need git-commit
	git -C "$mnt/tree" status --porcelain >/dev/null
}

git_status_run() {
	timed git-status git -C "$mnt/tree" status --porcelain >"$home/status.out"
}

git_status_verify() {
	[ ! -s "$home/status.out" ]
}

git_clone_prepare() {
	need git-commit
}

git_clone_run() {
	timed git-clone git clone -q --no-hardlinks "$mnt/tree" "$mnt/clone"
}

git_clone_verify() {
	[ "$(git -C "$mnt/clone" ls-files | wc -l)" -eq "$tree_files" ]
	[ -z "$(git -C "$mnt/clone" status --porcelain)" ]
	rm -rf "$mnt/clone"
}
