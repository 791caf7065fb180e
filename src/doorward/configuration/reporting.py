"""Reports about the appliance and its sessions.

What is below it is shown, and not honoured yet.
"""

from doorward.tree.nodes import Branch, Collection, later

NODE = Branch(
    privilege="/special/report",
    children={
        "_available_search_fields": later(Collection, title="Fields that report subchapters can use."),
        "_available_subchapters": later(Collection, title="Subchapters that reports can use."),
        "content_subchapters": later(Collection, title="Subchapters about the content of sessions."),
        "predefined_reports": later(Collection, title="Reports that come with the appliance."),
        "reports": later(Collection, title="Configured reports."),
        "statistics_subchapters": later(Collection, title="Subchapters with statistics of sessions."),
    },
)
