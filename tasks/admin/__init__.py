from tasks.admin.task_admin import TaskAdmin

__all__ = ["TaskAdmin"]
