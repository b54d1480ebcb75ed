#compdef kerasdl
# kerasdl completion zsh > a folder of $fpath, as _kerasdl
_kerasdl() {
    local -a found
    found=("${(@f)$(kerasdl completion --words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then
        compadd -a found
    else
        _files
    fi
}
if [[ $funcstack[1] == _kerasdl ]]; then  # loaded from $fpath by the first completion
    _kerasdl "$@"
else
    compdef _kerasdl kerasdl
fi
