# Shared by the scripts in this folder; they set $root, the repository's root.

# Prints the command that stands in README.md between <!-- command: NAME --> and the next <!-- end -->.
readme_command() {
    local command
    command=$(sed -n "/<!-- command: $1 -->/,/<!-- end -->/p" "$root/README.md" | grep -v -e '^<!--' -e '^```' || true)
    [[ -n $command && $command != *$'\n'* ]] || { echo "README.md has no one-line command '$1'" >&2; exit 1; }
    echo "$command"
}

# Copies to folder $1 what git tracks or would track, so that nothing that merely lies about here can help.
copy_tree() {
    mkdir -p "$1"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) | tar -xf - -C "$1"
}
