"""The console: server-rendered pages and plain ES modules, no build step, no outside host."""
