# Completion of asrctl's commands, appliances and daemons (the last two for root alone, whom the agent answers).
if [ -n "$BASH_VERSION" ]; then
    _asrctl() {
        local kind word
        COMPREPLY=()
        while IFS=, read -r kind word; do
            [ "$kind" = plain ] && COMPREPLY+=("$word")
        done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _ASRCTL_COMPLETE=bash_complete asrctl 2> /dev/null)
    }
    complete -F _asrctl asrctl
fi
