-- Nothing is there yet, not even a shell.
for _, folder in ipairs({"/dev", "/proc", "/sys"}) do
  posix.mkdir(folder)
end
