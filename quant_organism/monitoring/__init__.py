"""What people look at: the report of a cycle and its plots. Reads what the other rooms left; decides nothing.

Enter by `content.CycleReport` and `report.write_report`.
"""
