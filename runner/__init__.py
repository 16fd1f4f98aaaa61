"""Running the graphs: configuration, the run folder, the document runner, reviews that wait, forks, remote engines."""
