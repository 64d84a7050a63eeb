"use client";

import {
  type ColumnDef,
  createColumnHelper,
  createSortedRowModel,
  rowSortingFeature,
  type SortingState,
  sortFn_alphanumeric,
  sortFn_basic,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef, useState } from "react";

const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { alphanumeric: sortFn_alphanumeric, basic: sortFn_basic },
});

/** Columns of a {@link DataTable}; `id`s ending in `#` hold figures and stand on the right. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- columns of one table have values of several types
export type Columns<Row extends object> = ColumnDef<typeof features, Row, any>[];
export const columnsOf = <Row extends object>() => createColumnHelper<typeof features, Row>();

const ROW_HEIGHT = 36;
const isFigure = (id: string) => id.endsWith("#");

interface Props<Row extends object> {
  /** What the rows are, for screen readers. */
  label: string;
  columns: Columns<Row>;
  rows: Row[];
  rowId: (row: Row) => string;
  sort?: SortingState;
  /** Where a click anywhere on the row leads; the row's first cell must hold the same as a link. */
  onOpen?: (row: Row) => void;
}

/** A dense table in its own scroll area; only the rows in sight are in the document. */
export function DataTable<Row extends object>({ label, columns, rows, rowId, sort = [], onOpen }: Props<Row>) {
  const scroller = useRef<HTMLDivElement>(null);
  const [sorting, setSorting] = useState<SortingState>(sort);
  const table = useTable({ features, columns, data: rows, getRowId: rowId, state: { sorting }, onSortingChange: setSorting });
  const model = table.getRowModel().rows;
  const virtual = useVirtualizer({ count: model.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_HEIGHT, overscan: 12 });
  const items = virtual.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);

  return (
    <div ref={scroller} tabIndex={0} role="region" aria-label={label} className="relative min-h-0 grow overflow-auto focus-visible:outline-offset-[-2px]">
      <table className="w-full border-separate border-spacing-0 text-sm" aria-rowcount={model.length + 1}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => {
                const sorted = header.column.getIsSorted();
                return (
                  <th
                    key={header.id}
                    scope="col"
                    aria-sort={sorted ? (sorted === "asc" ? "ascending" : "descending") : undefined}
                    className={`sticky top-0 z-10 border-b border-line bg-raised px-3 py-0 text-2xs font-medium tracking-wide whitespace-nowrap text-soft uppercase ${isFigure(header.column.id) ? "text-right" : "text-left"}`}
                  >
                    {header.column.getCanSort() ? (
                      <button type="button" onClick={header.column.getToggleSortingHandler()} className="h-8 tracking-wide uppercase hover:text-ink">
                        <table.FlexRender header={header} />
                        <span aria-hidden className={`inline-block w-3 ${sorted ? "text-accent" : "text-transparent"}`}>
                          {sorted === "desc" ? "↓" : "↑"}
                        </span>
                      </button>
                    ) : (
                      <table.FlexRender header={header} />
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {before > 0 && <tr aria-hidden><td style={{ height: before }} /></tr>}
          {items.map((item) => {
            const row = model[item.index];
            if (!row) return null;
            return (
              <tr
                key={row.id}
                aria-rowindex={item.index + 2}
                onClick={onOpen && ((e) => opens(e.target) && onOpen(row.original))}
                className={`group h-9 ${onOpen ? "cursor-pointer" : ""} hover:bg-raised/70`}
              >
                {row.getAllCells().map((cell) => (
                  <td key={cell.id} className={`h-9 max-w-80 truncate border-b border-line px-3 ${isFigure(cell.column.id) ? "tnum text-right" : ""}`}>
                    <table.FlexRender cell={cell} />
                  </td>
                ))}
              </tr>
            );
          })}
          {after > 0 && <tr aria-hidden><td style={{ height: after }} /></tr>}
        </tbody>
      </table>
    </div>
  );
}

/** A click counts for its row unless it meant a link or a button, or ended a selection of text. */
function opens(target: EventTarget): boolean {
  const interactive = target instanceof Element && target.closest("a,button");
  return !interactive && !window.getSelection()?.toString();
}
