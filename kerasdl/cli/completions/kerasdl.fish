# kerasdl completion fish > ~/.config/fish/completions/kerasdl.fish
function __kerasdl_words
    set -l words (commandline -opc) (commandline -ct)
    kerasdl completion --words $words[2..-1] 2>/dev/null
end
complete -c kerasdl -a '(__kerasdl_words)'
