"""CSV files with a header, of which no record is lost: one that is no record is an error."""

import csv


def rows(path, stream, positions_of):
    """Yields (line, values) of each record behind the header; blank lines are passed over.

    `positions_of(header)` are the columns in the order of the values, None for one that is not there,
    whose values are "". A line is one of records: the header is line 1.
    """
    records = csv.reader(stream, strict=True)
    line = 1
    try:
        header = next((record for record in records if record), [])
        positions = positions_of(header)
        twice = [header[at] for at in positions if at is not None and header.count(header[at]) > 1]
        if twice:
            raise ValueError(f"{path}: the header has {', '.join(twice)} more than once; rename all but one")
        for record in records:
            if not record:
                continue
            line += 1
            if len(record) != len(header):
                raise ValueError(f"{path}:{line}: it has {len(record)} fields and the header {len(header)}; put "
                                 "quotation marks around a value with a comma")
            yield line, [record[at] if at is not None else "" for at in positions]
    except csv.Error as error:
        raise ValueError(f"{path}:{line + 1}: {error}; mend the record, or its quotation marks") from error


def columns(path, stream, names):
    """`rows` of these columns, all of which must be there."""
    def positions(header):
        missing = [name for name in names if name not in header]
        if missing:
            raise ValueError(f"{path}: the header lacks {', '.join(missing)}; it has "
                             f"{', '.join(header) or 'no column'}")
        return [header.index(name) for name in names]

    return rows(path, stream, positions)
